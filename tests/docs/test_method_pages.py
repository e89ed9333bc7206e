"""Each method has its page, and the page says what the code does."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import perdure

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "methods"
METHODS = {info.name: info for info in perdure.list_methods()}
HEADINGS = [
    "Equation",
    "Recipe",
    "Details that matter",
    "Where we differ",
    "Number to compare with",
    "Hyper-parameters",
    "Settings",
    "Cost",
    "Reference",
]


def sections(name: str) -> dict[str, str]:
    """The text under each heading of a page."""
    parts = re.split(r"^## (.+)\n", (PAGES / f"{name}.md").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def block(text: str, language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)
    assert len(found) == 1, f"expected one {language} block, found {len(found)}"
    return found[0]


def needs(info: perdure.MethodInfo) -> str:
    return ", ".join(info.needs) or "nothing"


def digits_numbers() -> dict[str, tuple[float, float]]:
    tree = ast.parse((ROOT / "tests" / "golden" / "test_digits.py").read_text())
    tables = (
        ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "EXPECTED"
    )
    return next(tables)


def test_pages_and_methods_are_the_same():
    assert {page.stem for page in PAGES.glob("*.md")} == {*METHODS, "README"}


def test_table_is_the_registry():
    rows = [line for line in (PAGES / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == [
        f"| [{i.name}]({i.name}.md) | {i.title} | {i.year} | {i.family} | {', '.join(i.settings)} | {needs(i)} |"
        for i in METHODS.values()
    ]


@pytest.mark.parametrize("name", METHODS)
def test_page_has_its_parts(name):
    page = sections(name)
    assert list(page) == HEADINGS
    assert page["Equation"].count("$$") == 2
    assert "tests/golden/test_" in page["Number to compare with"]


@pytest.mark.parametrize("name", METHODS)
def test_recipe_is_the_code(name):
    info = METHODS[name]
    (function,) = ast.parse(inspect.getsource(info.recipe)).body
    written = ast.parse(block(sections(name)["Recipe"], "python")).body
    assert [ast.unparse(line) for line in written] == [ast.unparse(line) for line in function.body[1:]]


@pytest.mark.parametrize("name", METHODS)
def test_options_and_settings_are_those_of_the_registry(name):
    info, page = METHODS[name], sections(name)
    assert re.findall(r"^\| `(\w+)` \| `(.+?)` \|", page["Hyper-parameters"], flags=re.M) == [
        (option, repr(default)) for option, default in info.options
    ]
    assert page["Settings"].strip() == f"{', '.join(info.settings)}. Needs: {needs(info)}."


@pytest.mark.parametrize("name", METHODS)
def test_reference_is_of_the_year(name):
    info, entry = METHODS[name], block(sections(name)["Reference"], "bibtex")
    assert re.match(r"@\w+\{\w+,\n", entry)
    fields = dict(re.findall(r"^  (\w+) += \{(.+?)\},?$", " ".join(entry.split("\n            ")), flags=re.M))
    assert {"author", "title", "year"} <= fields.keys()
    assert int(fields["year"]) == info.year
    if info.family == "replay":
        assert fields["title"].replace("{", "").replace("}", "") == info.title


@pytest.mark.parametrize("name", METHODS)
def test_digits_number_is_that_of_the_golden_test(name):
    said = re.search(r"digits, (?:class|task)-incremental: (\d\.\d+)", sections(name)["Number to compare with"])
    assert said
    assert float(said[1]) == pytest.approx(digits_numbers()[name][0], abs=0.006)  # two digits are enough
