"""What runs, seen from outside: snapshots, progress, text."""
