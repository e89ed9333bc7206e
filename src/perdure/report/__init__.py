"""What runs show: a comparison, a table for the terminal, and a page to look at."""

from perdure.report._compare import Comparison, Difference, Summary, compare
from perdure.report._incidents import incidents
from perdure.report._page import write
from perdure.report._table import table

__all__ = ["Comparison", "Difference", "Summary", "compare", "incidents", "table", "write"]
