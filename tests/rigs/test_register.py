from __future__ import annotations

import subprocess
import sys

from rt_pose.drivers import cameras, outputs


def test_every_driver_file_is_found() -> None:
    import rigs

    rigs.register()
    rigs.register()
    assert {"simulated", "video"} <= set(cameras())
    assert {"simulated"} <= set(outputs())


def test_registering_imports_no_drawing_library() -> None:
    code = "import sys, rigs; rigs.register(); sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
