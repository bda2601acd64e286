"""Drawing a report: rows, a headline, HTML."""
