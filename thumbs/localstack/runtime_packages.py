"""The packages that AWS's Python runtime brings along and no others: a forgotten requirement fails here too."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

#: What a Lambda Python runtime carries (https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html).
PROVIDED = ("awslambdaric", "boto3")


def link_runtime_packages(folder: Path) -> None:
    """Fill ``folder``, an entry of ``sys.path``, with links to the runtime's packages and what they require."""
    folder.mkdir(parents=True, exist_ok=True)
    for dist in _closure(PROVIDED):
        for top in sorted({file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")}):
            link, target = folder / top, Path(str(dist.locate_file(top)))
            if link.is_symlink() and link.readlink() != target:
                link.unlink()
            if not link.is_symlink():
                link.symlink_to(target)


def _closure(names: tuple[str, ...]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())
