"""Modules compiled ahead for a function's package."""

import marshal
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "functions" / "compile.py"


def compiled(folder: Path, kept: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, folder, kept], check=True)


def function(at: Path, **modules: str) -> Path:
    (at / "package").mkdir(parents=True)
    for name, text in modules.items():
        (at / "package" / f"{name}.py").write_text(text)
    return at


def of(folder: Path, name: str) -> Path:
    return Path(cache_from_source(str(folder / "package" / f"{name}.py")))


def test_a_module_says_where_lambda_has_it_and_is_never_compiled_again(tmp_path: Path) -> None:
    folder = function(tmp_path / "one", module="def place(): pass\n")
    compiled(folder, tmp_path / "kept")
    data = of(folder, "module").read_bytes()
    # PEP 552: the file follows its source by a hash, and that is not checked.
    assert int.from_bytes(data[4:8], "little") == 0b01
    assert marshal.loads(data[16:]).co_filename == "/var/task/package/module.py"  # noqa: S302


def test_functions_have_the_same_module_once_and_a_changed_one_anew(tmp_path: Path) -> None:
    one = function(tmp_path / "one", same="A = 1\n", own="B = 1\n")
    other = function(tmp_path / "other", same="A = 1\n", own="B = 2\n")
    for folder in (one, other):
        compiled(folder, tmp_path / "kept")
    assert of(one, "same").samefile(of(other, "same"))
    assert of(one, "own").read_bytes() != of(other, "own").read_bytes()
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_what_a_power_cut_left_empty_is_compiled_anew(tmp_path: Path) -> None:
    compiled(function(tmp_path / "one", module="A = 1\n"), tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    kept.unlink()
    kept.touch()
    other = function(tmp_path / "other", module="A = 1\n")
    compiled(other, tmp_path / "kept")
    assert marshal.loads(of(other, "module").read_bytes()[16:]).co_filename == "/var/task/package/module.py"  # noqa: S302


def test_what_is_of_another_python_is_left_as_it_is(tmp_path: Path) -> None:
    folder = function(tmp_path / "one", older="print 'of Python 2'\n", module="A = 1\n")
    compiled(folder, tmp_path / "kept")
    assert not of(folder, "older").exists()
    assert of(folder, "module").exists()
