"""README and docs/ as data: the fenced blocks and tables that tests hold against the code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from medgen_pipeline_tests.instance import PROJECT


def filled(block: str, given: Mapping[str, str]) -> str:
    """A block with a reader's own values in place of the words in capitals; each of them is in it."""
    for word, value in given.items():
        assert word in block, f"{word} is not in the block"
        block = block.replace(word, value)
    return block


@dataclass(frozen=True)
class Document:
    """A Markdown file of the project.

    Attributes:
        path: From the project's root.
    """

    path: str

    @property
    def text(self) -> str:
        return (PROJECT / self.path).read_text()

    @property
    def languages(self) -> list[str]:
        """Of every fenced block, in order."""
        return re.findall(r"^```(\w*)\n.*?\n```$", self.text, re.MULTILINE | re.DOTALL)

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of one language."""
        return re.findall(rf"^```{language}\n(.*?)\n```$", self.text, re.MULTILINE | re.DOTALL)

    def table_under(self, heading: str) -> list[list[str]]:
        """The cells of the first table below a heading, without its header, code marks removed."""
        section = re.split(rf"^#+ {re.escape(heading)}\n", self.text, flags=re.MULTILINE)[1]
        lines = re.findall(r"^\|(.*)\|$", section.split("\n#")[0], re.MULTILINE)
        return [[cell.strip().replace("`", "") for cell in line.split("|")] for line in lines[2:]]
