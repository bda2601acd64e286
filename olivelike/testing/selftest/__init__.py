"""The self-test of evidence: planted truths, and how often the verdicts and intervals of the reports find them."""
