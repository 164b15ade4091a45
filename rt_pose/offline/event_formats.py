"""The formats that `rt_pose.offline.recorded_events` reads, for those who only name them."""

FORMATS = ("open-ephys", "spikeglx", "lsl", "csv")
