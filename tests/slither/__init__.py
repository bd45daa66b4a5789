"""What the documents of Slither 0.1.0 promise, a test per behaviour. Table: `docs/slither-behaviours.md`."""
