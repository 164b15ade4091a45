"""rt-pose: real-time closed-loop animal pose tracking."""

__version__ = "0.2.0"
