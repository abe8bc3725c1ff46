"""What Dagster asks of an instance in SQLite."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.orchestration import engines
from medgen_pipeline.orchestration.local import open_instance


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_each_file_of_an_instance_has_one_engine_with_no_connection_while_nobody_asks(tmp_path: Path) -> None:
    engines._kept.cache_clear()
    with open_instance(tmp_path) as instance:
        for number in range(3):
            instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number}"))
            assert len(instance.get_run_records()) == 0
        assert len(instance.all_asset_keys()) == 3
        opened = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert not any(name.startswith(str(tmp_path)) for name in opened)
    used = engines._kept.cache_info()
    # That of the schedules was asked for while the instance was opened, and not again.
    assert used.misses == len([file for file in tmp_path.rglob("*.db") if file.stem != "schedules"]) < used.hits
