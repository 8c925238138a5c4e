/* Included by lwIP, used only by its debugging output, which is off. */
