"""Files of titles as people have them: what spreadsheets and editors write, and what cannot be meant."""

import io
import json
import re
from typing import Any

import pytest

from thumbnails.errors import InvalidBatch
from thumbnails.requests.models import Task
from thumbnails.strict_json import NotJson
from thumbnails.tables.requests import draft_in_file, request_in_file
from thumbnails.tables.rows import Row, read_rows

FIRST, SECOND = "My first post", "Zwölf Boxkämpfer, schnell"
GPT, DALLE = "gpt-image-1", "dall-e-3"


def rows(raw: bytes | str, name: str = "posts.csv") -> list[Row]:
    return list(read_rows(name, io.BytesIO(raw.encode() if isinstance(raw, str) else raw)))


def given(raw: bytes | str, name: str = "posts.csv") -> list[object]:
    read = rows(raw, name)
    assert [row.problems for row in read] == [[] for _ in read]
    return [row.given for row in read]


def refused(raw: bytes | str, name: str = "posts.csv") -> str:
    with pytest.raises(InvalidBatch) as refusal:
        rows(raw, name)
    return str(refusal.value)


TWO = [{"title": FIRST, "models": [GPT]}, {"title": SECOND, "models": [GPT]}]
SEMICOLONS = f"title;models\r\n{FIRST};{GPT}\r\n{SECOND};{GPT}\r\n"
COMMAS = f'title,models\r\n{FIRST},{GPT}\r\n"{SECOND}",{GPT}\r\n'
TABS = f"title\tmodels\r\n{FIRST}\t{GPT}\r\n{SECOND}\t{GPT}\r\n"
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in TWO)


@pytest.mark.parametrize(
    "raw",
    [
        COMMAS,
        SEMICOLONS,
        TABS,
        TABS.replace("\t", "|"),
        "\ufeff" + SEMICOLONS,
        "sep=;\r\n" + SEMICOLONS,
        "\ufeffSEP=;\n" + SEMICOLONS,
        "sep=\t\r\n" + TABS,
        SEMICOLONS.replace("\r\n", "\n"),
        SEMICOLONS.replace("\r\n", "\r"),
        SEMICOLONS.removesuffix("\r\n"),
        "\r\n \r\n;;\r\n" + SEMICOLONS,
        SEMICOLONS.replace("\r\n", "\r\n;\r\n\r\n \t;\u00a0\r\n"),
        SEMICOLONS.replace("\r\n", ";;;\r\n"),
        COMMAS.replace("\r\n", ",,\r\n"),
        SEMICOLONS.replace("title;models", " Title ;MODELS\u00a0"),
        SEMICOLONS.replace("title;models", '"Prompts";"Model"'),
        SEMICOLONS.replace("title;models", "\u200bBlog Title;Model"),
        COMMAS.replace(",", ", ", 1).replace("\r\n", " \r\n", 1),
        *(TABS.encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        ("\ufeff" + TABS).encode("utf-16-be"),
        ("\ufeff" + SEMICOLONS).encode("utf-16-le"),
        SEMICOLONS.encode("cp1252"),
        TABS.encode("cp1250"),
        LINES,
        "\ufeff" + LINES,
        LINES.replace("\n", "\r\n\r\n"),
        LINES.encode("utf-16"),
        json.dumps(TWO),
        json.dumps(TWO, indent=2),
        json.dumps(TWO).encode("utf-16"),
        "\n".join(json.dumps(row, indent=2) for row in TWO),
        LINES.replace('"title"', '"Title"').replace(f'["{GPT}"]', f'"{GPT}"'),
    ],
)
def test_an_export_is_taken_as_it_comes(raw: bytes | str) -> None:
    assert given(raw) == TWO
    assert given(raw, "posts.txt") == TWO


@pytest.mark.parametrize(
    "cell",
    [
        f"{GPT} {DALLE}",
        f"{GPT};{DALLE}",
        f"{GPT},{DALLE}",
        f"{GPT} , {DALLE},",
        f"{GPT}\n{DALLE}",
        f"{GPT}\r\n{DALLE}\r\n",
        f"{GPT}|{DALLE}",
        f"{GPT}\u00a0{DALLE}",
        f"“{GPT}”, “{DALLE}”",
        f"['{GPT}', '{DALLE}']",
    ],
)
def test_a_cell_may_name_several_models(cell: str) -> None:
    assert given(f'title\tmodels\n{FIRST}\t"{cell}"\n') == [{"title": FIRST, "models": [GPT, DALLE]}]
    assert given(json.dumps({"title": FIRST, "models": cell})) == [{"title": FIRST, "models": [GPT, DALLE]}]


def test_a_break_within_quotes_is_of_the_cell() -> None:
    read = rows(f'title;context\r\n"My first\r\npost";"One\n\nTwo"\r\n{SECOND};\r\n')
    assert [(row.place, row.given) for row in read] == [
        ("row 2", {"title": "My first\r\npost", "context": "One\n\nTwo"}),
        ("row 3", {"title": SECOND}),
    ]


def test_a_title_alone_may_hold_every_delimiter() -> None:
    assert given("title\nFast, cheap; and | good\n") == [{"title": "Fast, cheap; and | good"}]


@pytest.mark.parametrize(
    ("code", "titles"),
    [
        ("cp1252", ["El niño y el corazón", "Señor ¿qué tal?"]),
        ("cp1252", ["Ação e reação", "Coração de mãe"]),
        ("cp1252", ["Hållbar utveckling för små företag"]),
        ("cp1252", ["L’été à Paris – où aller ?"]),
        ("cp1250", ["Příliš žluťoučký kůň", "Jak psát blog"]),
        ("cp1250", ["Żółta łódź podwodna"]),
        ("cp1250", ["Árvíztűrő tükörfúrógép"]),
        ("cp1251", ["Как сделать хороший блог", "Привет, мир"]),
        ("cp1253", ["Γειά σου Κόσμε", "Καλημέρα"]),
        ("cp1254", ["İstanbul'da güneşli bir gün"]),
        ("cp1255", ["שלום עולם"]),
        ("cp1256", ["مرحبا بالعالم"]),
        ("cp1257", ["Kā rakstīt blogu"]),
        ("cp932", ["日本語のタイトル", "カメラの選び方"]),
        ("cp949", ["안녕하세요 세계", "블로그 쓰는 법"]),
        ("big5", ["如何寫部落格"]),
        ("gb18030", ["你好,世界", "如何写博客"]),
    ],
)
def test_a_code_page_is_taken_where_it_is_certain(code: str, titles: list[str]) -> None:
    raw = ("title;models\r\n" + "".join(f"{title};{GPT}\r\n" for title in titles)).encode(code)
    assert given(raw) == [{"title": title, "models": [GPT]} for title in titles]


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("cp1252", "100 € sparen"),
        ("mac-cyrillic", "Привет, мир"),
        ("koi8-r", "Как сделать хороший блог"),
        ("mac-roman", "Zwölf Boxkämpfer"),
        ("mac-roman", "Straße"),
        ("mac-roman", "Où aller en été à Paris"),
        ("mac-cyrillic", "Как сделать хороший блог"),
        ("mac-cyrillic", "Сборка"),
        ("cp850", "Größe zählt"),
        ("cp850", "Coração de mãe"),
        ("cp866", "Привет, мир"),
        ("koi8-r", "Сборка"),
        ("iso8859-2", "Żółta łódź podwodna"),
    ],
)
def test_bytes_that_are_not_certain_are_refused_with_a_way_out(code: str, title: str) -> None:
    message = refused(f"title;models\r\n\r\n{title};{GPT}\r\n".encode(code))
    assert message.startswith(
        "line 3 is not UTF-8, and the file's encoding cannot be told for certain; save it as UTF-8"
    )


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04\x14\0", "a workbook or another ZIP archive (.xlsx, .ods, .numbers)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook (.xls)"),
        (b"{\\rtf1\\ansi", "rich text (RTF)"),
        (b"<html><table>", "HTML or XML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "HTML or XML"),
        (b"%PDF-1.7", "a PDF"),
        (b"title\0\1\2", "no text"),
    ],
)
def test_a_file_of_another_kind_is_named_with_a_way_out(start: bytes, words: str) -> None:
    message = refused(start + b"\n")
    assert words in message
    assert message.endswith("in Google Sheets, Numbers and LibreOffice by CSV in UTF-8")
    assert refused(start, "posts.xlsx").startswith("a file of titles ends in .csv, ")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("Title;title\na;b\n", "the column 'title' and 'Title' are the same column; keep one of them"),
        ("title,prompt\na,b\n", "the column 'prompt' and 'title' are the same column; keep one of them"),
        ("title,title\na,b\n", "the column 'title' is in the header twice; keep one of them"),
        ("title,Writer\na,b\n", "unknown column 'Writer' in the header; remove it, or choose from: models, "),
        (
            f"{FIRST}\n{SECOND}\n",
            "the file needs a header, its first row, with the column 'title', and 'My first post'",
        ),
        ('title\nok one\n"open\nand on\n', "row 3 is not CSV: a quotation mark opens a cell and none closes it"),
        ('title,font\n"My "first" post",\n', "row 2 is not CSV: a quotation mark inside a cell in quotation marks is"),
        ('{"title": "A title"}\n{"title": \n', "the file is not JSON after row 1: "),
        (TABS.encode("utf-16") + b"\x00\xd8", "the file is not UTF-16-LE after its beginning; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(raw: bytes | str, message: str) -> None:
    assert refused(raw).startswith(message)


@pytest.mark.parametrize(
    ("raw", "place", "message"),
    [
        (f"title;models\n\n{SECOND};{GPT};;x\n", "row 3", "'x' is in column D, which has no name in the header"),
        (f"title,models\n{SECOND},{GPT}\n", "row 2", "'gpt-image-1' is in column C, which has no name in the header"),
        (f"title;models\n{FIRST};{GPT}\nTitle;Models\n", "row 3", "it is the header again; remove it"),
        ("title\nZwÃ¶lf BoxkÃ¤mpfer\n", "row 2", "'ZwÃ¶lf BoxkÃ¤mpfer' was read in the wrong encoding; is 'Zwölf"),
        ("title\nZw\ufffdlf\n", "row 2", "has a � where a letter was lost"),
        ('{"title": "One", "Title": "Two"}', "row 1", "'Title' and 'title' are the same field"),
        ('[["One", ["gpt-image-1"]]]', "row 1", "a row is an object with title and models"),
    ],
)
def test_a_row_that_cannot_be_meant_says_why(raw: str, place: str, message: str) -> None:
    (problem,) = [(row.place, problem.message) for row in rows(raw) for problem in row.problems]
    assert problem[0] == place
    assert problem[1].startswith(message)


@pytest.mark.parametrize(("word", "meant"), [("WAHR", True), ("faux", False), ("ИСТИНА", True), ("maybe", "maybe")])
def test_yes_and_no_are_a_spreadsheets_own(word: str, meant: object) -> None:
    assert given(f"title;reuse\n{FIRST};{word}\n") == [{"title": FIRST, "reuse": meant}]


BATCH = {"prompts": [FIRST, SECOND], "models": [GPT]}


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("batch.json", json.dumps(BATCH).encode()),
        ("batch", json.dumps(BATCH).encode("utf-16")),
        ("batch.csv", json.dumps(BATCH).encode("utf-8-sig")),
        ("batch.csv", COMMAS.encode()),
        ("inbox/BATCH.CSV", SEMICOLONS.encode("cp1252")),
        ("batch.txt", TABS.encode("utf-16")),
        ("batch.tsv", TABS.encode()),
        ("batch.csv", SEMICOLONS.replace(f"{SECOND};{GPT}", f"{SECOND};").encode()),
        ("batch.jsonl", LINES.encode()),
        ("batch.json", LINES.encode()),
        ("batch.json", json.dumps(TWO).encode()),
    ],
)
def test_a_batch_file_is_taken_as_it_comes(name: str, raw: bytes) -> None:
    assert request_in_file(name, raw, "generateBatch") == BATCH


def test_a_file_of_one_title_is_a_request_for_it() -> None:
    assert request_in_file("one.csv", b"Title\nOne title\n", "generateThumbnails") == {"title": "One title"}


@pytest.mark.parametrize(
    ("name", "raw", "task", "message"),
    [
        (
            "b.csv",
            f"Headline;Style\n{FIRST};neon\n{SECOND};anime\n",
            "generateBatch",
            "row 3: 'Style' differs from row 2",
        ),
        ("b.csv", f"title\n{FIRST}\n{SECOND}\n", "generateThumbnails", "the file has 2 titles, and generateThumbnails"),
        ("b.csv", "title\n", "generateBatch", "the file has no rows below its header"),
        (
            "b.csv",
            "Headline\nA title\nab\n",
            "generateBatch",
            "1 of 2 rows are refused: row 3: 'Headline': a title has 3",
        ),
        (
            "b.csv",
            ";Title;Style\n;ab;ugly\n",
            "generateBatch",
            "1 of 1 rows are refused: row 2: 'Title': a title has 3",
        ),
        (
            "b.xlsx",
            "PK\x03\x04",
            "generateBatch",
            "the file is a workbook or another ZIP archive (.xlsx, .ods, .numbers)",
        ),
    ],
)
def test_a_batch_file_that_cannot_be_meant_is_refused(name: str, raw: str, task: Task, message: str) -> None:
    with pytest.raises(InvalidBatch) as refusal:
        request_in_file(name, raw.encode(), task)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("posts.csv", SEMICOLONS.encode("cp1252"), {"prompts": [FIRST, SECOND], "models": [GPT]}),
        ("posts.txt", TABS.encode("utf-16"), {"prompts": [FIRST, SECOND], "models": [GPT]}),
        ("posts.json", LINES.encode(), {"prompts": [FIRST, SECOND], "models": [GPT]}),
        ("posts.csv", f"Author;Title;Day\nAda;{FIRST};1\n;;2\n".encode(), {"prompts": [FIRST], "author": "Ada"}),
        (
            "posts.csv",
            f"{FIRST},Ada\n\n{SECOND.replace(',', '')},Bo\n".encode(),
            {"prompts": [FIRST, SECOND.replace(",", "")]},
        ),
        (
            "list.txt",
            b'Hello, you; there\r\n\r\n"Quoted" it is\r\n',
            {"prompts": ["Hello, you; there", '"Quoted" it is']},
        ),
        ("list.md", FIRST.encode(), {"prompts": [FIRST]}),
        ("one.jsonl", json.dumps(TWO[0]).encode(), {"prompts": [FIRST], "models": [GPT]}),
        ("batch.json", json.dumps([[FIRST], None, "neon"]).encode(), {"prompts": [FIRST], "style": "neon"}),
        ("batch.json", json.dumps({"prompts": [FIRST], "font": "lora"}).encode(), {"prompts": [FIRST], "font": "lora"}),
    ],
)
def test_a_person_who_looks_at_the_titles_may_leave_a_header_out(name: str, raw: bytes, said: dict[str, Any]) -> None:
    assert draft_in_file(name, raw) == said


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("list.txt", b"ab\nA title\n", "1 of 2 rows are refused: line 1: 'title': a title has 3 to 200 characters"),
        ("posts.csv", b"title;day\n#REF!;1\n", "row 2: 'title': '#REF!' is what a spreadsheet writes"),
        ("posts.csv", b"title;day\nOne;two;three\n", "row 2: 'three' is in column C, which has no name in the header"),
        ("posts.csv", b"Titel;models\nA title;gpt-image-2\n", "with the column 'title', and 'Titel' is none"),
        ("batch.json", b'{"prompts": ["A title"], "sytle": "neon"}', "unknown field 'sytle'"),
        ("batch.json", b"17", "a request is an object with prompts and models"),
        ("posts.xlsx", b"PK\x03\x04", "a workbook or another ZIP archive"),
    ],
)
def test_what_cannot_be_meant_is_refused_all_the_same(name: str, raw: bytes, words: str) -> None:
    with pytest.raises(InvalidBatch, match=re.escape(words)):
        draft_in_file(name, raw)


def test_every_problem_of_a_row_is_named() -> None:
    with pytest.raises(InvalidBatch) as refusal:
        request_in_file("b.csv", b"Title;Style;Models\nab;ugly;none\n", "generateBatch")
    message = str(refusal.value)
    assert "'Title': a title has 3 to 200" in message
    assert "'Style': unknown style 'ugly'" in message
    assert "'Models': unknown model 'none'" in message


def test_typographic_quotes_are_named() -> None:
    with pytest.raises(NotJson, match="its quotation marks are typographic, and JSON takes straight ones"):
        request_in_file("b.json", "{“prompts”: []}".encode(), "generateBatch")


def test_json_is_unicode() -> None:
    with pytest.raises(NotJson, match="it is not text in UTF-8, at byte 15; save it as UTF-8"):
        request_in_file("b.json", '{"prompts": ["Für uns"]}'.encode("cp1252"), "generateBatch")


@pytest.mark.parametrize(
    "title",
    [
        *(
            "#REF!",
            "#NAME?",
            "#N/A",
            "#DIV/0!",
            "#VALUE!",
            "#SPILL!",
            "#ERROR!",
            "#¡REF!",
            "#¿NOMBRE?",
            "#¡DIV/0!",
            "#BEZUG!",
        ),
        *(
            "#WERT!",
            "#NV",
            "#ÜBERLAUF!",
            "#NOM?",
            "#VALEUR!",
            "#RIF!",
            "#N/D",
            "#ADR!",
            "#ССЫЛКА!",
            "#Н/Д",
            "#ДЕЛ/0!",
            "#I/T",
        ),
        *("Err:502", "####", "Loading...", "=VLOOKUP(A1;B:C;2)", "=A1"),
    ],
)
def test_a_formula_without_a_value_is_no_title(title: str) -> None:
    with pytest.raises(
        InvalidBatch, match=r"row 2: 'Title': .* is what a spreadsheet writes for a formula that failed"
    ):
        request_in_file("b.csv", f'Title\n"{title}"\n'.encode(), "generateBatch")


@pytest.mark.parametrize("title", ["#1 tip for C#", "#Hashtags!", "#nofilter", "1 + 1 = 2", "Error 404!", "= and =="])
def test_a_title_may_look_a_little_like_one(title: str) -> None:
    assert request_in_file("b.csv", f"title\n{title}\n".encode(), "generateBatch") == {"prompts": [title]}
