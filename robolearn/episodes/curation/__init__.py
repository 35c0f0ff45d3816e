"""Looking after datasets: checking, describing, changing and converting them."""
