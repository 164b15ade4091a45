"""One file an inference engine; `rt_pose.inference.engine` finds them."""
