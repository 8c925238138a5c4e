# Prints URIs: and Signed-By: of the entries for `codename` in an apt source list of either form.

function moves(word) { return word == codename || word == "stable" || word == "testing" || word == "sid" || word == "unstable" }

# ---- deb822: paragraphs of fields; a line that starts with a blank continues its field ----

function paragraph_end(    i, n, words, ours) {
	if (field["enabled"] !~ /^[ \t]*no/ && field["types"] ~ /(^|[ \t])deb([ \t]|$)/) {
		n = split(field["suites"], words, /[ \t\n]+/)
		for (i = 1; i <= n; i++)
			ours = ours || moves(words[i])
		if (ours && field["components"] ~ /(^|[ \t\n])main([ \t\n]|$)/) {
			n = split(field["uris"], words, /[ \t\n]+/)
			print "URIs: " (words[1] == "" ? words[2] : words[1])
			if (field["signed-by"] != "")
				print "Signed-By:" field["signed-by"]
		}
	}
	split("", field)
}
deb822 && /^[ \t]*$/ { paragraph_end(); next }
/^#/ { next }
/^[A-Za-z-]+:/ {
	deb822 = 1
	last = tolower(substr($0, 1, index($0, ":") - 1))
	field[last] = substr($0, index($0, ":") + 1)
	next
}
deb822 && /^[ \t]/ { field[last] = field[last] "\n" $0; next }

# ---- one line: deb [option=value ...] URI suite component... ----

!deb822 && /^[ \t]*deb[ \t]/ {
	sub(/#.*/, "")
	key = ""
	if (match($0, /\[[^]]*\]/)) {
		options = substr($0, RSTART + 1, RLENGTH - 2)
		$0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
		n = split(options, words, /[ \t]+/)
		for (i = 1; i <= n; i++)
			if (words[i] ~ /^signed-by=/)
				key = substr(words[i], 11)
	}
	gsub(/,/, " ", key)
	if (moves($3) && (" " $0 " ") ~ / main /) {
		print "URIs: " $2
		if (key != "")
			print "Signed-By: " key
	}
}
END { if (deb822) paragraph_end() }
