# The end of the first program of a host that is spoken to over its console (console-host.ts). A line on the console is a number and a command in
# base64; the answer is a line `@@ number exit-code output-in-base64`. All other lines are logs.
echo "@@ 0 0 "
while read -r number command; do
  (
    output=$(base64 -d <<<"$command" | bash 2>&1)
    code=$?
    answer="@@ $number $code $(base64 -w0 <<<"$output")"
    flock /run echo "$answer"
  ) &
done
