"""Templates: HTML and Markdown from Jinja2 templates, with one set of options.

A template is a file beside the module that fills it, named `NAME.html.jinja` or `NAME.md.jinja`.
Values are escaped in HTML only; an undefined value is an error. Templates may import the macros of
`macros.md.jinja`, which lies beside this module.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(template: Path, **values: object) -> str:
    """Return the text of a template filled with the given values.

    Raises
    ------
    jinja2.UndefinedError
        The template uses a value that is not given.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(values)
