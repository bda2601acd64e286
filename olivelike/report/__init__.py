"""Drawing a report as figures and HTML."""
