# Read by the scripts that stop something: stop_process NAME PID_FILE WORD
# ends the program whose number the file holds, if its command line has the word.
stop_process() {
  local name=$1 file=$2 word=$3 pid
  pid=$(cat "$file" 2>/dev/null || true)
  if [ -z "$pid" ] || ! ps -ww -p "$pid" -o args= | grep "$word" >/dev/null; then
    rm -f "$file"
    echo "$name: not running"
    return
  fi
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -9 "$pid" 2>/dev/null; then
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  rm -f "$file"
  echo "$name: stopped"
}
