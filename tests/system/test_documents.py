"""Every command in the documents is run, or it is said why not; test_story runs them."""

import ast
import subprocess

import pytest

from system.documents import ELSEWHERE, ORDER, ROOT, blocks

DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if blocks(document)])
def test_every_block_can_be_read_by_its_language(document: str) -> None:
    for block in blocks(document):
        if block.language == "python":
            compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        else:
            checked = subprocess.run(["bash", "-n"], input=block.text, text=True, check=False, capture_output=True)
            assert checked.returncode == 0, f"{block}: {checked.stderr}"


def test_every_block_is_run_or_it_is_said_why_not() -> None:
    # The commands of the README in Chinese are those of the README, which tests/architecture sees to.
    whole = [block for document in DOCUMENTS if document != "README.zh-CN.md" for block in blocks(document)]

    assert [str(block) for block in whole if block.is_run and block.document not in ORDER] == []
    assert [begin for begin in ELSEWHERE if not any(block.text.startswith(begin) for block in whole)] == []
