"""The device-facing side: update checks, reports and packages. No tokens here."""
