"""What is installed from a wheel is what is worked with here."""

from pathlib import Path
from zipfile import ZipFile

from hatchling.builders.wheel import WheelBuilder

from medgen_pipeline_tests.instance import PROJECT


def test_a_wheel_holds_every_module_and_every_query(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"])
    package = PROJECT / "medgen_pipeline"
    wanted = {path.relative_to(PROJECT).as_posix() for kind in ("py", "sql") for path in package.rglob(f"*.{kind}")}
    assert "medgen_pipeline/catalog/curated/concept.sql" in wanted
    assert wanted <= set(ZipFile(wheel).namelist())
