"""What `rt-pose verify` says of a session that is whole, damaged, cut, edited, and signed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rt_pose.audit.log_chain import read_chain
from rt_pose.audit.verify import Verification, verify_session
from rt_pose.cli.main import main
from rt_pose.config.schema import RecordConfig
from rt_pose.errors import ExitCode, UserError
from rt_pose.records import TOPICS
from rt_pose.session.log_file import LOG_NAME, LogGaps, LogWriter, iterate_log
from rt_pose.session.read import INFO_NAME
from rt_pose.session.seal import SEAL_NAME, read_private_key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private key and its public one, by OpenSSL as the pages say."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "key.pem", folder / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


@pytest.fixture(scope="module")
def signed(keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    package = make_tiny_package(folder / "package", keypoints=3)
    record = RecordConfig(video=True, sign_with=str(keys[0]))
    result = run(config(package.path, record=record, seconds=2.5), folder / "session")
    assert result.ok, result.status
    return folder / "session"


@pytest.fixture
def session(signed: Path, tmp_path: Path) -> Path:
    """A copy to damage, its package beside it."""
    shutil.copytree(signed.parent, tmp_path / "copy")
    return tmp_path / "copy" / "session"


def test_what_nobody_touched_holds_and_names_its_key(signed: Path, keys: tuple[Path, Path]) -> None:
    found = verify_session(signed, keys[1])
    assert (found.fails, found.open) == ([], [])
    said = "\n".join(found.lines())
    assert found.exit_code == ExitCode.DONE
    for part in (
        "links prove its first",
        "4 of 4 files are untouched",
        "by the key of --key",
        "identical",
        "package",
    ):
        assert part in said
    assert read_chain(signed / LOG_NAME).links >= 5


def test_a_report_beside_it_leaves_the_seal_whole(session: Path) -> None:
    assert main(["report", str(session)]) == 0
    assert verify_session(session, replays=False).fails == []


def chunks(log: Path) -> list[int]:
    return sorted({message.chunk_at for message in iterate_log(log, LogGaps())})


def test_a_flipped_byte_is_found_and_placed(session: Path) -> None:
    log = session / LOG_NAME
    data, places = bytearray(log.read_bytes()), chunks(log)
    at = places[len(places) // 2] + 200
    data[at] ^= 1
    log.write_bytes(data)
    found = verify_session(session, replays=False)
    assert found.exit_code == ExitCode.FAILED
    (said,) = [line for line in found.fails if line.startswith("log: ")]
    assert "are not what was written" in said
    between = [int(word.replace(",", "")) for word in said.split() if word.replace(",", "").isdigit()][:2]
    assert between[0] <= at < between[1]
    assert any(line.startswith(f"{LOG_NAME}: not what was sealed") for line in found.fails)


def test_a_removed_chunk_is_told_from_a_changed_one(session: Path) -> None:
    log = session / LOG_NAME
    data, places = log.read_bytes(), chunks(log)
    middle = len(places) // 2
    gone = places[middle + 1] - places[middle]
    log.write_bytes(data[: places[middle]] + data[places[middle + 1] :])
    (said,) = [line for line in verify_session(session, replays=False).fails if line.startswith("log: ")]
    assert f"{gone:,} bytes were taken out" in said


def test_a_cut_tail_is_told_as_one(session: Path) -> None:
    log = session / LOG_NAME
    data, places = log.read_bytes(), chunks(log)
    log.write_bytes(data[: places[-2] + 10])
    found = verify_session(session, replays=False)
    assert any("log: it breaks off" in line and "links prove" in line for line in found.open)
    assert any(line.startswith(f"{LOG_NAME}: cut: ") for line in found.fails)
    assert found.exit_code == ExitCode.FAILED


def test_a_session_without_a_seal_verifies_as_far_as_its_chain_goes(session: Path) -> None:
    (session / SEAL_NAME).unlink()
    log = session / LOG_NAME
    log.write_bytes(log.read_bytes()[: chunks(log)[-1] + 10])
    found = verify_session(session, replays=False)
    assert found.fails == []
    assert found.exit_code == ExitCode.INCOMPLETE
    assert any(line.startswith("seal: there is none") for line in found.open)


@pytest.mark.parametrize("name", ["top.mkv", "top.times.csv", "session.json"])
def test_another_file_that_was_changed_is_named(session: Path, name: str) -> None:
    file = session / name
    data = file.read_bytes()
    changed = data.replace(b'"complete"', b'"Complete"') if name == "session.json" else data[:-1] + b" "
    file.write_bytes(changed)
    fails = verify_session(session, replays=False).fails
    assert [line for line in fails if line.startswith(f"{name}: not what was sealed")]
    file.unlink()
    if name != "session.json":
        assert f"{name}: it was sealed and is not there" in verify_session(session, replays=False).fails


def test_a_seal_made_anew_does_not_fit_its_signature(session: Path) -> None:
    seal = json.loads((session / SEAL_NAME).read_text())
    seal["t_utc_ns"] += 1
    (session / SEAL_NAME).write_text(json.dumps(seal))
    assert "signature: it does not fit the seal" in verify_session(session, replays=False).fails


def test_the_key_of_somebody_else_is_refused(session: Path, tmp_path: Path) -> None:
    other, public = tmp_path / "other.pem", tmp_path / "other_public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", other], check=True)
    subprocess.run(["openssl", "pkey", "-in", other, "-pubout", "-out", public], check=True)
    fails = verify_session(session, public, replays=False).fails
    assert any("not by the one of --key" in line for line in fails)


def test_without_a_key_it_says_what_the_seal_does_not_prove(session: Path, keys: tuple[Path, Path]) -> None:
    seal = json.loads((session / SEAL_NAME).read_text())
    (session / SEAL_NAME).write_text(json.dumps(seal | {"key": "", "signature": ""}))
    found = verify_session(session, replays=False)
    assert any("can seal it anew" in line for line in found.holds)
    assert verify_session(session, keys[1], replays=False).exit_code == ExitCode.FAILED


def test_another_package_in_its_place_is_told(session: Path) -> None:
    package = session.parent / "package"
    shutil.rmtree(package)
    info = json.loads((session / "session.json").read_text())
    make_tiny_package(package, keypoints=3, seed=9)
    info["package"]["path"] = str(package)
    (session / "session.json").write_text(json.dumps(info))
    assert any("lies where" in line for line in verify_session(session).fails)


def test_the_command_prints_and_exits(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(session), "--replay", "no"]) == ExitCode.DONE
    assert "  ok  log: " in capsys.readouterr().out
    (session / "top.mkv").write_bytes(b"")
    assert main(["verify", str(session), "--replay", "no"]) == ExitCode.FAILED
    assert " NOT  top.mkv: cut: 0 bytes of" in capsys.readouterr().out


def test_a_key_that_is_none_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read .*openssl genpkey"):
        read_private_key(str(tmp_path / "nowhere.pem"))
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(UserError, match="no private key without a password"):
        read_private_key(str(tmp_path / "text.pem"))


def test_a_log_that_only_flushes_grows_no_chain(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / LOG_NAME)
    payload = msgspec.msgpack.encode({"t_ns": 1})
    for _ in range(3):
        log.write(b"stats", 1, payload)
        for _ in range(4):
            log.flush()
    log.close()
    links = [m for m in iterate_log(tmp_path / LOG_NAME, LogGaps()) if m.topic == "chain"]
    assert len(links) == 3
    assert read_chain(tmp_path / LOG_NAME).broken == ""
    assert "chain" in TOPICS


DEEP = (
    b'"config"',
    b'"semantics"',
    b'"tau_s"',
    b'"top"',
    b'"keypoints"',
    b'"files"',
    b'"signature"',
)
"""Keys that are read deep inside, and whose loss shows there."""


def damaged(data: bytes) -> Iterator[bytes]:
    """Single bytes flipped, all over the file and in keys; its end cut off."""
    places = {len(data) * i // 7 for i in range(7)}
    places |= {at + 1 for word in DEEP for at in (data.find(word), data.rfind(word)) if at >= 0}
    for i, at in enumerate(sorted(places)):
        flipped = bytearray(data)
        flipped[at] ^= (1, 0x80)[i % 2]
        yield bytes(flipped)
    yield from (data[:length] for length in (0, 100, len(data) - 2))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        (INFO_NAME, ("  ok  log: ", "seal: 3 of 4 files", f" NOT  {INFO_NAME}: ")),
        (SEAL_NAME, ("  ok  log: ", "  ok  package: ", "identical")),
        (LOG_NAME, ("seal: 3 of 4 files", "  ok  package: ", f" NOT  {LOG_NAME}: ")),
    ],
)
def test_no_damage_silences_another_witness(
    session: Path, name: str, others: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file = session / name
    for data in damaged(file.read_bytes()):
        file.write_bytes(data)
        assert main(["verify", str(session)]) == ExitCode.FAILED
        said, mistakes = capsys.readouterr()
        assert [part for part in others if part not in said] == [], said
        assert mistakes == ""


def described(session: Path, **changes: Any) -> None:
    """Change the session's description."""
    info = json.loads((session / INFO_NAME).read_text())
    (session / INFO_NAME).write_text(json.dumps(info | changes))


def test_what_cannot_be_replayed_is_said_in_words(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = json.loads((session / INFO_NAME).read_text())
    package, cameras = info["package"], info["cameras"]
    tracking = package["tracking"] | {"tau_s": [0.1]}
    for changes, words in (
        ({"package": package | {"tracking": tracking}}, "tracking.tau_s: expected 3 numbers, one a keypoint"),
        ({"package": package | {"tracking": {}}}, "missing required field"),
        ({"package": package | {"keypoints": ["k0"]}}, "expected 1 numbers"),
        (
            {"cameras": {"pot": cameras["top"]}},
            "observations of the cameras top; its session.json describes pot",
        ),
        ({"cameras": cameras | {"../top": cameras["top"]}}, "'../top' cannot be the name of a camera"),
    ):
        described(session, **(info | changes))
        assert main(["replay", str(session)]) == ExitCode.MISTAKE
        assert words in capsys.readouterr().err
        found = verify_session(session)
        assert any(words in line for line in found.open + found.fails)
        assert found.exit_code == ExitCode.FAILED


def test_a_session_of_a_later_program_is_left_open(session: Path) -> None:
    (session / SEAL_NAME).unlink()
    for key, version in (("semantics", 99), ("schema", 2)):
        described(session, **{key: version})
        found = verify_session(session)
        assert any("99" in line or "schema 2" in line for line in found.open), found
        assert found.exit_code == ExitCode.INCOMPLETE
    later = {"seal": 2, "session": "", "t_utc_ns": 0, "files": {}, "package": "", "config": ""}
    (session / SEAL_NAME).write_text(json.dumps(later))
    assert any("seal.json is of version 2" in line for line in verify_session(session, replays=False).open)


def test_a_damaged_package_is_told_and_a_whole_copy_will_do(session: Path, tmp_path: Path) -> None:
    package, info = session.parent / "package", json.loads((session / INFO_NAME).read_text())
    own = {"top": {key: info["package"][key] for key in ("sha256", "tracking")} | {"path": "sub/package"}}
    elsewhere = tmp_path / "elsewhere" / "sub" / "package"
    shutil.copytree(package, elsewhere)
    (elsewhere / "golden.npz").write_bytes(b"no golden frames")
    described(session, package=info["package"] | {"path": str(elsewhere)}, own_models=own)
    fails = verify_session(session).fails
    assert any(line.startswith("package: ") and "golden.npz is damaged" in line for line in fails)
    described(session, started_in=str(elsewhere.parents[1]))
    assert any(line.startswith("package of camera 'top': ") for line in verify_session(session).fails)
    shutil.copytree(package, session.parent / "sub" / "package")
    assert any(line.startswith("package of camera 'top': the one") for line in verify_session(session).holds)


def test_a_seal_names_files_of_its_session_alone(session: Path) -> None:
    seal = json.loads((session / SEAL_NAME).read_text())
    unsigned = seal | {"signature": ""}
    (session / SEAL_NAME).write_text(json.dumps(unsigned))
    assert any("and is not signed" in line for line in verify_session(session, replays=False).fails)
    for name in ("../session/log.mcap", "/etc/hostname", ".."):
        (session / SEAL_NAME).write_text(json.dumps(seal | {"files": {name: seal["files"][LOG_NAME]}}))
        fails = verify_session(session, replays=False).fails
        assert any("is no file of a session" in line for line in fails)


def test_no_name_out_of_a_file_reaches_the_terminal_as_a_control_code() -> None:
    (line,) = Verification(fails=["a \x1b[2J\ud800 name"]).lines()
    assert line == " NOT  a \\x1b[2J\\xd800 name"
