"""Views: functions of the driver that worker processes may call."""
