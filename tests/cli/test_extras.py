"""The core install: what it can do without the extras, and what a command says whose extra is missing."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest

from hearsight.cli.errors import extra_of

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from hearsight.cli.main import app
from typer.testing import CliRunner

for line in sys.stdin.read().splitlines():
    done = CliRunner().invoke(app, line.split("|"))
    print(done.exit_code, " ".join(done.stderr.split()))
"""


def _modules_of(extra: str) -> set[str]:
    """The modules that only an extra brings: those of its packages."""
    named = [line for line in requires("hearsight") or [] if f'extra == "{extra}"' in line.replace("'", '"')]
    packages = {re.split(r"[\[<>=!~ (;]", line)[0].lower().replace("_", "-") for line in named}
    return {
        module
        for module, homes in packages_distributions().items()
        if any(home.lower().replace("_", "-") in packages for home in homes)
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Exit code and standard error of commands in a process that lacks the extra `research`."""
    from hearsight.simulation.demo_scene import sample_scene, write_sample_scene

    folder = tmp_path_factory.mktemp("core")
    scene = folder / "scene.mp4"
    write_sample_scene(sample_scene(2.0), scene)
    (folder / "benchmark.yaml").write_text("name: x\n")
    commands = {
        "seen": f"binauralize|{scene}|-q|-o|{folder}/seen.mp4",
        "names": "models|--no-sizes",
        "train": f"train|{folder}/benchmark.yaml",
        "benchmark": f"benchmark|{folder}/benchmark.yaml",
        "evaluate": f"evaluate|{scene}|{scene}",
        "simulate": f"simulate|{folder}/concerts|--clips|1|--seconds|1",
        "sizes": "models",
    }
    missing = _modules_of("research")
    assert {"lightning", "torchmetrics", "transformers", "yaml", "fluidsynth"} <= missing
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing)],
        input="\n".join(commands.values()),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "seen.mp4").stat().st_size
    return dict(zip(commands, done.stdout.splitlines(), strict=True))


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["seen", "names"])
def test_the_core_install_places_sounds(outcomes: dict[str, str], name: str) -> None:
    assert outcomes[name].startswith("0")


@pytest.mark.heavy
def test_models_that_need_an_extra_are_listed_with_a_note(outcomes: dict[str, str]) -> None:
    assert re.fullmatch(r"0 note: \d+ of these run only with the extra .research.: pip install .*", outcomes["sizes"])


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["train", "benchmark", "evaluate", "simulate"])
def test_a_command_whose_extra_is_missing_names_it_in_one_line(outcomes: dict[str, str], name: str) -> None:
    assert re.fullmatch(r"1 hearsight: this needs \w+, .* pip install 'hearsight\[research\]'", outcomes[name])


def test_which_extra_a_module_belongs_to() -> None:
    assert extra_of("lightning.pytorch.callbacks") == "research"
    assert extra_of("fluidsynth") == "research"
    assert extra_of("torch") is None
    assert extra_of("no_such_module") is None
