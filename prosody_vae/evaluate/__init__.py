"""Is what the selector selects right? Measures of choices, of what the model then says, and the tables of both."""
