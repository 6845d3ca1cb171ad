"""Paise, basis points, the bill, the split and the forecast. Pure."""
