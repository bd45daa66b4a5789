import builtins
from pathlib import Path

from sphinx.addnodes import pending_xref
from sphinx.pycode import ModuleAnalyzer

import slither_actors

project = "slither-actors"
author = "The slither-actors authors"
copyright = f"2026, {author}"
version = release = slither_actors.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project
myst_enable_extensions = ["deflist"]
# Links to a heading of another page.
myst_heading_anchors = 2

# Docstrings put names in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"

# Annotations name private modules, the standard library and Pykka, which this manual does not describe.
nitpick_ignore_regex = [
    ("py:.*", r"^(?!slither_actors\.).*"),
    ("py:.*", r"^slither_actors\.(\w+\.)*_.*"),
]


def keep_first_line(app, what, name, obj, options, lines):
    """Napoleon would take the words before a colon in an attribute's description for its type."""
    if what in ("attribute", "property", "data"):
        lines[:0] = ["..", ""]  # an empty comment: napoleon looks at the first line that is not blank


def unlink_builtins(app, doctree):
    """Leave `bytes` alone: Sphinx takes any attribute of that name for it, and two of them for a mistake."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and hasattr(builtins, node["reftarget"]):
            node.replace_self(node.children)


def join_errors():
    """Have autodoc find the comments of attributes: errors name as their module the package, not its part."""
    package = "slither_actors.errors"
    folder = Path(slither_actors.__file__).parent / "errors"
    source = "\n".join(path.read_text() for path in sorted(folder.glob("_[a-z]*.py")))
    ModuleAnalyzer.cache["module", package] = ModuleAnalyzer.for_string(source, package)


def setup(app):
    join_errors()
    app.connect("doctree-read", unlink_builtins)
    # Before napoleon, which connects with 500.
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
