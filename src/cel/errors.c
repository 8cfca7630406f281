// SPDX-License-Identifier: Apache-2.0
/* The table of error codes: for `rectify explain CODE`, the documentation and the tests. */
#include "cel/cel_internal.h"

static const struct cel_error_code codes[] = {
    {"C0001", "The expression is not well formed.",
     "Look at the caret; text needs quotes, and in YAML an expression that starts with !, [, {, ' "
     "or \" must be "
     "quoted as a whole."},
    {"C0002",
     "A literal cannot be read: a number that is too large, or an escape that is no character.",
     "Write a smaller number, or u behind unsigned ones; escapes are \\n \\t \\\\ \\\" \\xHH "
     "\\uHHHH \\UHHHHHHHH."},
    {"C0003", "The name is a reserved word.",
     "Use another name; as a field it may stand behind a dot."},
    {"C0004", "A macro has the wrong arguments.",
     "has() needs a field (a.b); all, exists, map and filter need a plain variable name first."},
    {"C0005", "The expression is too long or nested too deeply.",
     "Split it, with `let` or cel.bind()."},
    {"C0101", "The name is not known.",
     "Look for a typing mistake; `rectify explain` lists the functions."},
    {"C0102", "The function or operator does not exist for these types.",
     "Convert one side, such as int(x) or string(x), or dyn(x) when the type is right at run time "
     "only."},
    {"C0103", "The structure has no such field.", "Look for a typing mistake in the field's name."},
    {"C0104", "The type is not the one that is needed here.",
     "A condition must be a bool, as in size(x) > 0."},
    {"C0105", "The type has no fields, or cannot be gone through.", "Only lists and maps can."},
    {"C0106", "A constant is not what the function reads.",
     "Correct the regular expression, time or address."},
    {"C0110", "A variable cannot be declared.",
     "Names are letters, digits and _, and are declared once."},
    {"C0201", "The function or operator does not exist for these values.",
     "The values' types were known at run time only: look at the data, or convert."},
    {"C0202", "The map has no such key.", "Ask first with has(a.b), or write a.?b.orValue(x)."},
    {"C0203", "A position is outside the list or string.",
     "Compare with size() first, or use [?i]."},
    {"C0204", "A map cannot have this key, or has it twice.",
     "Keys are bool, int, uint or string, each once."},
    {"C0205", "A number or time does not fit its type, or a division is by zero.",
     "Compare before calculating."},
    {"C0206", "A value cannot be read as the other type.",
     "Look at the text that the message shows."},
    {"C0207", "The variable has no value in this place.",
     "`event` exists only under detect; before, after and current only under undo."},
    {"C0208", "A bool is needed.", "Compare: x == true, size(x) > 0."},
    {"C0209", "The name or function is not known at run time.", "Look for a typing mistake."},
    {"C0210", "The optional holds no value.", "Use orValue(x), or ask hasValue() first."},
    {"C0301", "Evaluating took more steps than are allowed.",
     "Loops within loops cost the product of both sizes: filter first, or use a map."},
    {"C0302", "Evaluating needs more memory than is allowed.",
     "Strings or lists grew in a loop: filter first."},
    {"C0303", "No memory is left.", "Give the process more memory."},
    {"C0304", "The expression may cost too much, by what it looks like.",
     "Loops within loops cost the product of their sizes: filter first, or use a map. The estimate "
     "takes 100 items for each list and 100 bytes for each text."},
};

const struct cel_error_code *cel_error_codes(size_t *ret_count)
{
    *ret_count = sizeof codes / sizeof *codes;
    return codes;
}
