/// Programs as a reader of papers knows them: equations with few parentheses, made from the program itself, so that what
/// is documented is what runs. Start at [Equations]. May use `expr`.
@NullMarked
package dev.stepd.expr.equation;

import org.jspecify.annotations.NullMarked;
