"""What keeps an arm within its limits, whatever it is asked."""
