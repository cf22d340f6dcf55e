"""What the commands of tuning show."""
