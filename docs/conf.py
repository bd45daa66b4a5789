import slither_actors

project = "slither-actors"
author = "The slither-actors authors"
copyright = f"2026, {author}"
version = release = slither_actors.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project

# Docstrings put names in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
