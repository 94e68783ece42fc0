"""Any text of params.yaml is refused, or read as DVC reads and records it."""

from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import strategies as st
from support.cases import for_all, num_cases, refusal
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss_pipeline.config.document import load_document
from tests.pipeline.config.test_property_params import STAGE, base, check_file

FRAGMENTS = [
    "010", "0o17", "0x1F", "1_000", "yes", "no", "On", "1:30", "1e3", "1.e-3", "+.5", ".inf", "-.INF", ".nan", "~",
    "", "=", "<<: {a: 1}", "&a", "*a", "&a [*a]", "!!int '7'", "!!python/object/apply:os.system [false]", "!x",
    "2001-13-45", "|", ">-", "? ", "- ", "{", "[", "]", "}", "'", '"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\x"',
    "%YAML 1.1\n---\n", "---\n", "...\n", "#", ": ", ",", "@", "`", "\t", "\n", "\r", "\x85", "\u2028", "\ufeff",
    "9" * 5000, "[" * 400, "{a: " * 400, "\n  ", "seed: 1\n",
]  # fmt: skip
"""What readers of YAML disagree about or stumble over."""

SPLICES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(FRAGMENTS) | st.text(max_size=4)),
    min_size=1,
    max_size=4,
)
"""Where (as a share of the text), how many characters go, and what comes in their place."""


@num_cases(fast=30, slow=500)
def test_a_spliced_text_is_refused_or_read_as_dvc_reads_it(
    num_cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of params.yaml with parts cut out and put in: what passes is what DVC will record."""
    monkeypatch.chdir(ROOT)
    texts = {choice: yaml.safe_dump(base(choice)) for choice in ("", "tiny")}
    accepted = []

    def check(choice: str, splices: list[tuple[float, int, str]], stage: str) -> None:
        text = texts[choice]
        for share, length, fragment in splices:
            start = int(share * len(text))
            text = text[:start] + fragment + text[start + length :]
        path = tmp_path / "params.yaml"
        path.write_bytes(text.encode(errors="surrogatepass"))
        accepted.append(check_file(path, stage))

    for_all(num_cases, check, choice=st.sampled_from(["", "tiny"]), splices=SPLICES, stage=STAGE)
    assert num_cases < 100 or any(accepted)


@num_cases(fast=10, slow=300)
def test_scalars_are_read_as_dvc_reads_them_or_as_texts(num_cases: int, tmp_path: Path) -> None:
    """Every way to write a number: our reading is DVC's, or a text, which the schema refuses for a number."""
    path = tmp_path / "params.yaml"

    def check(scalar: str) -> None:
        path.write_text(f"key: {scalar}\n", encoding="utf-8")
        try:
            document = load_document(path)
        except InputError as error:
            refusal(error, names=str(path))
            return
        if document != {"key": scalar}:
            found, recorded = document["key"], parse_yaml(path.read_text(encoding="utf-8"), str(path))["key"]
            assert type(found) is type(recorded)
            assert found == recorded or (found != found and recorded != recorded)

    for_all(
        num_cases, check, scalar=st.text("0123456789+-._eExXoObB:afinINF~ynt", max_size=7) | st.sampled_from(FRAGMENTS)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1\nseed: 2\n", "line 2, column 1: the key 'seed' occurs twice"),
        ("a: &x 1\n", "line 1, column 4: anchors and aliases are not read here"),
        ("a: !!int '7'\n", "line 1, column 4: tags are not read here"),
        ("%YAML 1.1\n---\na: 010\n", "directives are not read here"),
        ("7: 1\n", "line 1, column 1: a key that is no text"),
        ("[1]: 1\n", "a key that is no text"),
        ("{a: " * 20 + "1" + "}" * 20, "nested too deeply"),
        ("a: 1\n---\nb: 2\n", "but found another document"),
        (f"a: {'9' * 5000}\n", "Exceeds the limit"),
        ("#" * 300_000, "longer than 262144 bytes"),
        ("a: \xff", "not valid YAML"),
    ],
)  # fmt: skip
def test_what_readers_of_yaml_disagree_about_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """With the place and the reason, in one line."""
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load_document(path)
    assert problem in refusal(caught.value, names=f"{path}: ")


@num_cases(fast=10, slow=300)
def test_any_bytes_are_refused(num_cases: int, tmp_path: Path) -> None:
    """Texts and bytes that never were params."""
    path = tmp_path / "params.yaml"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert not check_file(path, "plot")

    texts = st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass"))
    yaml_like = st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join).map(str.encode)
    for_all(num_cases, check, content=st.binary(max_size=200) | texts | yaml_like)
