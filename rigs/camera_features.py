"""Sets up a GenICam camera by the features of its node map, whichever library reads and writes them.

Cameras of the standard's first version and of its second name the same things otherwise (`ExposureTimeAbs`,
`ExposureTime`); what is there is found out by reading it, because a name alone proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from rigs.acquisition import AcquisitionOptions
from rigs.pixel_formats import PixelFormat, pixel_format, preferred
from rt_pose.errors import UserError

EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
GAIN = ("Gain", "GainAbs")
RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
RESULTING_RATE = ("ResultingFrameRate", "BslResultingAcquisitionFrameRate", "ResultingFrameRateAbs")
TEMPERATURE = ("DeviceTemperature", "TemperatureAbs")
LEAST_OF_RATE = 0.99
"""Share of the asked frame rate that must come: cameras round it."""


class FeatureError(Exception):
    """A feature could not be written; the text is the library's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Which values a numeric feature takes now."""

    low: float
    high: float
    step: float = 0.0
    """0 where any value between is taken, if only after rounding."""


class Features(Protocol):
    """A device's features by name, as each driver's library gives them."""

    def value(self, name: str) -> Any:
        """Read a feature.

        Parameters
        ----------
        name
            As in the standard.

        Returns
        -------
        Any
            A number, a bool, or the entry of an enumeration; None where it cannot be read.
        """
        ...

    def limits(self, name: str) -> Limits | None:
        """Read which values can be written to a numeric feature.

        Parameters
        ----------
        name
            As in the standard.

        Returns
        -------
        Limits or None
            As of now; None where it cannot be written.
        """
        ...

    def entries(self, name: str) -> list[str]:
        """Read which entries an enumeration can be set to.

        Parameters
        ----------
        name
            As in the standard.

        Returns
        -------
        list[str]
            As of now; empty where it cannot be written.
        """
        ...

    def write(self, name: str, value: Any) -> None:
        """Write a feature.

        Parameters
        ----------
        name
            As in the standard.
        value
            A number, a bool, or the entry of an enumeration.

        Raises
        ------
        FeatureError
            Where the device refuses.
        """
        ...


@dataclass(slots=True)
class CameraSetup:
    """How a camera is set up, as it says itself."""

    pixel_format: PixelFormat
    pixel_format_name: str
    """As the device calls it."""
    roi: tuple[int, int, int, int]
    """x, y, width, height; px."""
    exposure_us: float | None
    rate_hz: float | None
    """None where a line triggers it, or nothing is known of its rate."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As `CameraInfo.settings`."""


def set_up(features: Features, options: AcquisitionOptions, channels: int | None, where: str) -> CameraSetup:
    """Set what was asked for and read back what the device took.

    Parameters
    ----------
    features
        Of the device, which is not acquiring.
    options
        What was asked for.
    channels
        Channels that the network takes; None where no network is known.
    where
        Key of the configuration to name in an error.

    Returns
    -------
    CameraSetup
        What the device then said.

    Raises
    ------
    UserError
        Where it cannot do what was asked for.
    """
    one = _SettingUp(features, options, where)
    try:
        name = one.set_pixel_format(channels)
        roi = one.set_roi()
        one.set_trigger()
        exposure_us = one.set_number("exposure_us", options.exposure_us, EXPOSURE, "ExposureAuto")
        gain_db = one.set_number("gain_db", options.gain_db, GAIN, "GainAuto")
        rate_hz, resulting_hz = one.set_rate(exposure_us)
    except FeatureError as error:
        raise UserError(f"{where}: the camera refuses: {error}") from error
    read = pixel_format(name, where)
    settings = {
        "exposure_us": _setting(options.exposure_us, exposure_us),
        "gain_db": _setting(options.gain_db, gain_db),
        "roi": _setting(options.roi or None, list(roi)),
        "rate_hz": _setting(options.rate_hz, rate_hz),
        "resulting_rate_hz": _setting(None, resulting_hz),
        "pixel_format": _setting(options.pixel_format or None, name),
        "trigger": _setting(options.trigger, one.trigger()),
        "temperature_c": _setting(None, one.first_value(TEMPERATURE)),
    }
    if read.shift:
        settings["shift_bits"] = _setting(None, read.shift)
    return CameraSetup(read, name, roi, exposure_us, rate_hz, settings)


def _setting(asked: Any, actual: Any) -> dict[str, Any]:
    return {"asked": asked, "actual": actual}


class _SettingUp:
    """The steps of `set_up`, in their order."""

    def __init__(self, features: Features, options: AcquisitionOptions, where: str) -> None:
        self._features, self._options, self._where = features, options, where

    def first_value(self, names: tuple[str, ...]) -> Any:
        """The value of the first feature that can be read."""
        return next((found for name in names if (found := self._features.value(name)) is not None), None)

    def set_pixel_format(self, channels: int | None) -> str:
        features, wanted = self._features, self._options.pixel_format
        offered, now = features.entries("PixelFormat"), str(features.value("PixelFormat"))
        if wanted and wanted not in (*offered, now):
            raise UserError(
                f"{self._where}: pixel_format: this camera has {', '.join(offered) or now}, got {wanted!r}"
            )
        chosen = wanted or preferred(offered, channels) or now
        pixel_format(chosen, self._where)  # before the device is touched
        if chosen != now:
            features.write("PixelFormat", chosen)
        return str(features.value("PixelFormat"))

    def set_roi(self) -> tuple[int, int, int, int]:
        """The window: first its size, from the sensor's corner, since its place limits its size."""
        features = self._features
        for name in ("OffsetX", "OffsetY"):
            limits = features.limits(name)
            if limits is not None:
                features.write(name, int(limits.low))
        if self._options.roi:
            x, y, width, height = self._options.roi
            for name, wanted in (("Width", width), ("Height", height), ("OffsetX", x), ("OffsetY", y)):
                self._write_whole(name, wanted)
        else:
            self._whole_sensor()
        found = [features.value(name) for name in ("OffsetX", "OffsetY", "Width", "Height")]
        x, y, width, height = (int(value or 0) for value in found)
        return x, y, width, height

    def _whole_sensor(self) -> None:
        for name in ("Width", "Height"):
            limits = self._features.limits(name)
            most = self._features.value(f"{name}Max") or self._features.value(f"Sensor{name}")
            if limits is not None:
                self._features.write(name, int(min(limits.high, most or limits.high)))

    def _write_whole(self, name: str, wanted: int) -> None:
        limits = self._features.limits(name)
        now = self._features.value(name)
        if limits is None:
            if wanted != (now or 0):
                raise UserError(
                    f"{self._where}: roi: {name} of this camera is always {now or 0}, got {wanted}"
                )
            return
        step = int(limits.step) or 1
        low, high = int(limits.low), int(limits.high)
        if not low <= wanted <= high or (wanted - low) % step:
            steps = f" in steps of {step}" if step > 1 else ""
            near = min(max(low + (wanted - low) // step * step, low), low + (high - low) // step * step)
            raise UserError(
                f"{self._where}: roi: {name} must be between {low} and {high}{steps}, got {wanted}; "
                f"{near} is possible"
            )
        self._features.write(name, wanted)

    def set_trigger(self) -> None:
        """Let frames be taken by what was asked for, and by nothing that was left switched on."""
        features, options = self._features, self._options
        if "Continuous" in features.entries("AcquisitionMode"):
            features.write("AcquisitionMode", "Continuous")
        selectors = features.entries("TriggerSelector")
        for selector in selectors or [""]:
            if selector:
                features.write("TriggerSelector", selector)
            if "Off" in features.entries("TriggerMode"):
                features.write("TriggerMode", "Off")
        if options.trigger == "free":
            return
        if "FrameStart" in selectors:
            features.write("TriggerSelector", "FrameStart")
        if "On" not in features.entries("TriggerMode"):
            raise UserError(f"{self._where}: trigger: this camera takes none; leave it out, or say free")
        source = "Software" if options.trigger == "software" else options.trigger_source
        sources = features.entries("TriggerSource")
        if source not in sources:
            key = "trigger" if options.trigger == "software" else "trigger_source"
            known = ", ".join(sources) or "nothing"
            raise UserError(f"{self._where}: {key}: this camera is triggered by {known}, got {source!r}")
        features.write("TriggerSource", source)
        features.write("TriggerMode", "On")

    def trigger(self) -> str:
        """What the device says of its trigger."""
        if self._features.value("TriggerMode") != "On":
            return "free"
        source = self._features.value("TriggerSource")
        return "software" if source == "Software" else f"line ({source})"

    def set_number(self, key: str, wanted: float | None, names: tuple[str, ...], auto: str) -> float | None:
        """A number that the camera would otherwise choose by itself; None where it cannot be read."""
        features = self._features
        if wanted is not None:
            if "Off" in features.entries(auto):
                features.write(auto, "Off")
            name, limits = self._writable(key, names)
            if not limits.low <= wanted <= limits.high:
                raise UserError(
                    f"{self._where}: {key} must be between {limits.low:g} and {limits.high:g} for this "
                    f"camera, got {wanted:g}"
                )
            features.write(name, wanted)
        found = self.first_value(names)
        return None if found is None else float(found)

    def set_rate(self, exposure_us: float | None) -> tuple[float | None, float | None]:
        """The rate at which frames will come, and the most that the camera says it could give."""
        features, options = self._features, self._options
        by_camera = options.trigger == "free" and options.rate_hz is not None
        if features.value("AcquisitionFrameRateEnable") is not None and (
            by_camera or options.trigger != "free"
        ):
            features.write("AcquisitionFrameRateEnable", by_camera)  # a limit would swallow triggers
        if by_camera:
            assert options.rate_hz is not None
            name, limits = self._writable("rate_hz", RATE)
            if not limits.low <= options.rate_hz <= limits.high:
                raise UserError(
                    f"{self._where}: rate_hz must be between {limits.low:g} and {limits.high:g} for this "
                    f"camera as it is set up, got {options.rate_hz:g}"
                )
            features.write(name, options.rate_hz)
        resulting_hz = self.first_value(RESULTING_RATE)
        # An exposure begins when the one before has ended, whatever a camera says of its rate.
        bounds = [resulting_hz, 1e6 / exposure_us if exposure_us else None]
        most_hz = min((float(bound) for bound in bounds if bound), default=None)
        wanted_hz = options.rate_hz if options.trigger != "line" else None
        if wanted_hz is not None and most_hz is not None and most_hz < LEAST_OF_RATE * wanted_hz:
            exposed = f"exposures of {exposure_us:g} us and " if exposure_us else ""
            raise UserError(
                f"{self._where}: rate_hz: with {exposed}this roi {most_hz:.4g} frames a second come at most, "
                f"got {wanted_hz:g}; set exposure_us or roi smaller"
            )
        return self._rate_hz(most_hz), None if resulting_hz is None else float(resulting_hz)

    def _rate_hz(self, most_hz: float | None) -> float | None:
        if self._options.trigger == "line":
            return None
        if self._options.trigger == "software":
            return self._options.rate_hz
        set_hz = self.first_value(RATE) if self._options.rate_hz is not None else None
        return min((float(rate) for rate in (set_hz, most_hz) if rate), default=None)

    def _writable(self, key: str, names: tuple[str, ...]) -> tuple[str, Limits]:
        for name in names:
            limits = self._features.limits(name)
            if limits is not None:
                return name, limits
        raise UserError(f"{self._where}: {key}: this camera has no {' or '.join(names)} to set; leave it out")
