"""One cell of the matrix: looked for, paid for, stored, drawn."""
