"""The hot path on a GPU: one CUDA stream from pinned memory to keypoints, and one wait at its end.

Nothing of CUDA is touched when these modules are imported; a `CudaStream` opens the device.
"""
