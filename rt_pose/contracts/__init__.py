"""The suites that drivers pass, ours and yours alike; needs pytest (`pip install 'rt-pose[dev]'`)."""

import pytest

pytest.register_assert_rewrite(
    "rt_pose.contracts.cameras", "rt_pose.contracts.inputs", "rt_pose.contracts.outputs"
)
