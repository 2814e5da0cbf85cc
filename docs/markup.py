"""Pieces of Markdown for pages that are written by a program."""

import re


def table(headers, rows):
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def toctree(names, **options):
    """A table of contents that is not shown on the page itself."""
    lines = [f":{key}: {value}".rstrip() for key, value in options.items()]
    return "\n".join(["```{toctree}", ":hidden:", *lines, "", *names, "```", ""])


def plain(text):
    """Text of a docstring as Markdown in which nothing is markup."""
    return re.sub(r"([\\*_<>\[\]$`^|~])", r"\\\1", text)
