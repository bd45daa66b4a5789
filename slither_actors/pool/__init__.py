"""Worker processes: slots, wire, payloads and post-mortems."""
