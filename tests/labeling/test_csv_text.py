"""What is not changed comes back byte for byte, however the file was written."""

from __future__ import annotations

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from rt_pose.labeling.csv_text import parse_csv

ODD_FILES = [
    b"",
    b"\n\n",
    b"scorer,a,a\r\nbodyparts,n,n\r\ncoords,x,y\r\nimg.png,1.50,2e1\r\n",
    b"scorer,a,a\nbodyparts,n,n\ncoords,x,y\nimg.png,1.50,2",
    b"\xef\xbb\xbfscorer;a;a\r\nbodyparts;n;n\r\ncoords;x;y\r\nimg.png;1,50;NaN\r\n\r\n",
    "scorer\ta\ta\nbodyparts\tñ\tñ\ncoords\tx\ty\n".encode("utf-16"),
    b'scorer,"a,b",a\n"img ""1"", x.png",1,2\n"two\nlines",3,4',
    b'scorer,a"b,"c"d\n"never ended,1',
]


def test_odd_files_come_back_as_they_were() -> None:
    for data in ODD_FILES:
        assert parse_csv(data).to_bytes() == data


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.text(alphabet='a1,";\n .', max_size=5), min_size=2, max_size=4), max_size=4),
    st.sampled_from(["\n", "\r\n"]),
)
def test_rows_and_cells_stand_where_csv_has_put_them(rows: list[list[str]], end: str) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator=end).writerows(rows)
    parsed = parse_csv(file.getvalue().encode())
    assert parsed.to_bytes() == file.getvalue().encode()
    read = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert [len(row.cells) for row in parsed.rows] == [len(row) for row in read]
    cells = [cell for row in parsed.rows for cell in row.cells]
    plain = [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells]
    assert plain == [value for row in rows for value in row]


def test_numbers_are_written_as_the_others_are() -> None:
    german = parse_csv(ODD_FILES[4])
    assert german.number(3.25) == "3,25"
    assert german.number(None) == "NaN"
    english = parse_csv(ODD_FILES[2])
    assert (english.number(3.25), english.number(None)) == ("3.25", "")
    english.append(["new.png", "1.0", "2.0"])
    assert english.to_bytes() == ODD_FILES[2] + b"new.png,1.0,2.0\r\n"
    unended = parse_csv(ODD_FILES[3])
    unended.append(["new.png", "1.0", "2.0"])
    assert unended.to_bytes() == ODD_FILES[3] + b"\nnew.png,1.0,2.0\n"
    german.append(["new.png", "1,0", "2,0"])
    assert german.to_bytes() == ODD_FILES[4][:-2] + b"new.png;1,0;2,0\r\n\r\n"
