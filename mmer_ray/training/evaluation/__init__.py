"""What a model's predictions are worth: measures, intervals, comparisons, and the report of them."""
