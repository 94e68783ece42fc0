"""What the params ask of a device is there, or refused."""

import pytest
from support import tiny

from ldmiss.errors import InputError
from ldmiss_pipeline.compute.device import resolve
from ldmiss_pipeline.config import params


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear refusal instead of torch's traceback."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    compute = params.validate(tiny.document(compute={"device": "cuda"}), "x").compute
    with pytest.raises(InputError, match=r"compute\.device: cuda was asked for"):
        resolve(compute)
