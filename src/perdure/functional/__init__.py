"""Pure mathematics with the symbols of the papers: functions of tensors, no state."""
