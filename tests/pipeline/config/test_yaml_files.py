"""Any bytes in place of params.yaml are refused in one line, or read as DVC reads them and records what it read."""

from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st
from support import tiny
from support.cases import for_all, num_cases, refusal

from ldmiss.errors import InputError
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.yaml_files import DEEPEST, load_yaml
from ldmiss_pipeline.running.lockfile import load_lock

FRAGMENTS = [
    "010", "0o17", "0x1F", "1_000", "yes", "On", "1:30", "1e3", "+.5", ".inf", ".nan", "~", "=", "<<: {a: 1}", "&a",
    "*a", "&a [*a]", "&a {x: *a}", "? &a [*a]\n: 1", "7: 1", "[1]: 1", "? {a: 1}\n: 1", "2001-01-01", "2001-13-45",
    "!!int '7'", "!!int ''", "!!float ''", "!!bool maybe", "!!omap [a: 1]", "!!omap", "!!set {a}", "!!binary '!'",
    "!!timestamp x", "!!python/object/apply:os.system [false]", "!x", "|", ">-", "? ", "- ", "{", "[", "]", "}", "'",
    '"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\x"', "%YAML 1.1\n---\n", "%FOO\n---\n", "---\n", "...\n", "#", ": ", ",",
    "@", "`", "\t", "\n", "\r", "\x85", "\u2028", "\ufeff", "\0", "9" * 5000, "[" * 400, "{a: " * 400, "- " * 400,
    "\n  ", "seed: 1\n",
]  # fmt: skip
"""What readers of YAML disagree about or stumble over."""

SPLICES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(FRAGMENTS) | st.text(max_size=4)),
    min_size=1, max_size=4,
)  # fmt: skip
"""Where (as a share of the text), how many characters go, and what comes in their place."""


def spliced(splices: list[tuple[float, int, str]]) -> bytes:
    """The text of valid params with parts cut out and put in."""
    text = yaml.safe_dump(DOCUMENT)
    for share, length, fragment in splices:
        start = int(share * len(text))
        text = text[:start] + fragment + text[start + length :]
    return text.encode(errors="surrogatepass")


DOCUMENT = tiny.document()
TEXTS = st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass"))
YAML_LIKE = st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join).map(str.encode)
CONTENTS = SPLICES.map(spliced) | YAML_LIKE | TEXTS | st.binary(max_size=200)


@num_cases(fast=100, slow=2000)
def test_any_bytes_are_refused_in_one_line_or_valid(num_cases: int, tmp_path: Path) -> None:
    """As params and as a lock of DVC's; what passes as params is a document with every key and no other."""
    path = tmp_path / "params.yaml"
    refused = []

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            _, document = params.load(path)
            assert document.keys() == DOCUMENT.keys()
        except InputError as error:
            refusal(error, names=f"{path}: ")
            refused.append(content)
        try:
            load_lock(path)
        except InputError as error:
            refusal(error, names=f"{path}: ")

    for_all(num_cases, check, content=CONTENTS)
    assert refused


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_every_stumbling_block_alone(fragment: str, tmp_path: Path) -> None:
    """As the whole document and as a value."""
    path = tmp_path / "params.yaml"
    for text in (fragment, f"profile: {fragment}"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            params.load(path)
        refusal(caught.value, names=f"{path}: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1\nseed: 2\n", 'found duplicate key "seed"'),
        ("a: !!python/object/apply:os.system [false]\n", "could not determine a constructor for the tag"),
        ("a: !!bool maybe\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("a: 2001-13-45\n", "month must be in 1..12"),
        (f"a: {'9' * 5000}\n", "Exceeds the limit"),
        ("a: \xff", "invalid leading UTF-8 octet"),
        ("[" * 10**6, f"nested more than {DEEPEST} deep"),
        ("{a: " * 10**5, f"nested more than {DEEPEST} deep"),
        ("- " * 10**5, f"nested more than {DEEPEST} deep"),
    ],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, problem: str, tmp_path: Path) -> None:
    """The reason, and where the parser knows it the place; unchecked, great depth ends the process in C."""
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load_yaml(path)
    assert problem in refusal(caught.value, names=f"{path}: not valid YAML (")


def test_depth_is_counted_within_and_not_along(tmp_path: Path) -> None:
    """Any number of lists and mappings beside each other, and as deep as allowed."""
    path = tmp_path / "x.yaml"
    path.write_text("[[], {}]\n".join("- " for _ in range(2 * DEEPEST)) + "[]")
    assert len(load_yaml(path)) == 2 * DEEPEST
    path.write_text("[" * DEEPEST + "]" * DEEPEST)
    assert load_yaml(path)


def test_a_folder_or_nothing_is_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(InputError, match="missing file; run from the project's root"):
            load_yaml(path)
