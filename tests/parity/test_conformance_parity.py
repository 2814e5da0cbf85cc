"""What the conformance kit says of PyTorch modules and JAX pytrees: `make parity`."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minifishr.conformance import check, check_steps

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def rules():
    pytest.importorskip("torch", reason="pip install 'minifishr[parity]'")
    pytest.importorskip("jax", reason="pip install 'minifishr[parity]'")
    from parity import conformance_rules

    return conformance_rules


def test_penalties_of_pytorch_modules_are_told_what_they_are(rules):
    for method, penalty, sentence in rules.TORCH:
        assert str(check(method, penalty, style="torch")).startswith(sentence)


def test_penalties_of_jax_pytrees_are_told_what_they_are(rules):
    for method, penalty, sentence in rules.JAX:
        assert str(check(method, penalty, style="jax", domains=2, logits="one")).startswith(sentence)


def test_float32_has_its_own_tolerance_and_says_so(rules):
    found = check("irm", rules.irm, style="torch", dtype="float32")
    assert found.follows and found.error > 1e-9 and "float32: 0.001 allowed" in str(found)
    found = check("irm", rules.jax_irm, style="jax", dtype="float32", domains=3, logits="many")
    assert found.follows and found.error > 1e-9 and "float32: 0.001 allowed" in str(found)
    assert "float32: 0.001 allowed" in str(check("fishr", lambda *a: rules.fishr(*a).float(), style="torch"))


def test_what_is_wrong_in_float32_is_told_as_in_float64(rules):
    found = check("fishr", rules.fishr_detached, style="torch", dtype="float32")
    assert str(found).startswith("the value of the paper convention without its gradient: something is detached")
    found = check("irm", rules.jax_irm_of_the_last, style="jax", dtype="float32", domains=3, logits="many")
    assert str(found).startswith("a known mistake, the last domain only: ") and "float32: 0.001 allowed" in str(found)


def test_updates(rules):
    found = check_steps("erm", rules.torch_erm, style="torch")
    assert str(found).startswith("follows the domainbed convention for six steps (")
    found = check_steps("erm", rules.jax_descent, style="jax", domains=3, logits="many")
    assert str(found).startswith("no published convention; nearest: the ") and not np.isnan(found.error)


def test_dann_is_given_its_discriminator(rules):
    assert check("dann", rules.dann, style="torch").follows


def test_examples_of_the_page_give_the_sentences_that_it_shows(rules, capsys):
    root, names = Path(__file__).parent.parent.parent, {"torch": rules.torch}
    page = (root / "docs/check_your_implementation.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n((?:(?!```).)*)```\n\n    ([^\n]*)\n", page, re.DOTALL)
    assert len(found) == 4
    for code, sentence in found:
        exec(compile(code, "page", "exec"), names)
        shown, said = (text.split(" (largest")[0] for text in (sentence, capsys.readouterr().out.rstrip()))
        assert shown == said


def test_adapter_runs_on_a_checkout_and_an_unknown_one_is_named(rules, tmp_path):
    (tmp_path / "data_loader.py").write_text("")
    own = "def CORAL(source, target):\n    return ((torch.cov(source.T) - torch.cov(target.T)) ** 2).mean() / 4\n"
    (tmp_path / "models.py").write_text(own)
    run = Path(__file__).parent.parent.parent / "docs" / "conformance" / "run.py"
    (tmp_path / "other").mkdir()
    folders = [str(tmp_path), str(tmp_path / "other")]
    found = subprocess.run([sys.executable, str(run), *folders], capture_output=True, text=True, check=False)
    row = "| SSARCandy/DeepCORAL |  | coral | CORAL of models.py | follows the paper convention (largest"
    assert row in found.stdout and found.returncode == 1 and f"{folders[1]}: none of facebookresearch" in found.stderr
