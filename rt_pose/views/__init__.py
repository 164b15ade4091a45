"""Several views of one animal: calibrated cameras, triangulation, and whether a calibration is right."""
