"""What somebody wrote into `metadata` of the run, as NWB takes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rt_pose.errors import UserError
from rt_pose.export.poses import Recording

SUBJECT = (
    "age",
    "date_of_birth",
    "description",
    "genotype",
    "sex",
    "species",
    "strain",
    "subject_id",
    "weight",
)
FILE = (
    *("experiment_description", "institution", "lab", "notes", "pharmacology", "protocol"),
    *("session_id", "stimulus_notes", "surgery", "virus"),
)
"""Keys of the run's `metadata` that NWB has a place for, beside `experimenter`."""


def metadata_of(recording: Recording) -> dict[str, Any]:
    """Get the run's `metadata`.

    Parameters
    ----------
    recording
        What is exported.

    Returns
    -------
    dict[str, Any]
        Empty where there is none.
    """
    metadata = {} if recording.session is None else recording.session.info.config.get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def missing_metadata(recording: Recording) -> list[str]:
    """List what archives ask for and the run's `metadata` lacks.

    Parameters
    ----------
    recording
        What is exported.

    Returns
    -------
    list[str]
        Names of keys.
    """
    about = metadata_of(recording)
    subject = about.get("subject")
    own = subject if isinstance(subject, dict) else {"subject_id": subject}
    lacking = [f"subject.{key}" for key in ("subject_id", "species", "sex", "age") if not own.get(key)]
    return lacking + [key for key in ("experimenter", "institution", "lab") if not about.get(key)]


def file_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what goes into the file's own fields.

    Parameters
    ----------
    about
        The run's `metadata`.

    Returns
    -------
    dict[str, Any]
        Arguments of an `NWBFile`.
    """
    fields: dict[str, Any] = {key: as_text(about[key]) for key in FILE if about.get(key)}
    people = about.get("experimenter")
    if people:  # of which there may be several
        fields["experimenter"] = [as_text(one) for one in (people if isinstance(people, list) else [people])]
    return fields


def as_text(value: Any) -> str:
    """Convert a value of a configuration to one text.

    Parameters
    ----------
    value
        Whatever YAML can hold.

    Returns
    -------
    str
        Entries of a list or map are parted by semicolons; without NUL, which NWB does not take.
    """
    if isinstance(value, Mapping):
        value = [f"{key}: {as_text(entry)}" for key, entry in value.items()]
    text = "; ".join(as_text(entry) for entry in value) if isinstance(value, list | tuple) else str(value)
    return text.replace("\0", "").encode(errors="replace").decode()


def subject_of(about: Mapping[str, Any]) -> Any:
    """Make NWB's subject.

    Parameters
    ----------
    about
        The run's `metadata`.

    Returns
    -------
    Subject
        The subject; what is not known is left out.

    Raises
    ------
    UserError
        Where its date of birth is none.
    """
    from pynwb.file import Subject

    subject = about.get("subject")
    fields = dict(subject) if isinstance(subject, dict) else {"subject_id": subject} if subject else {}
    known: dict[str, Any] = {key: as_text(fields[key]) for key in SUBJECT if fields.get(key)}
    if "date_of_birth" in known:
        try:
            born = datetime.fromisoformat(known["date_of_birth"])
        except ValueError as error:
            raise UserError(f"metadata.subject.date_of_birth: expected e.g. 2026-03-01: {error}") from error
        known["date_of_birth"] = born if born.tzinfo else born.replace(tzinfo=UTC)
    return Subject(**{"subject_id": "unknown", "sex": "U"} | known)
