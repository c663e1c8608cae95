{{- /*
A value of TOML on one line. Strings, numbers and booleans are written as JSON does, which TOML reads alike; Helm's own toToml would make
floats of whole numbers.
*/ -}}
{{- define "postroad.toml.value" -}}
{{- if kindIs "map" . -}}
{ {{- range $index, $key := keys . | sortAlpha }}{{ if $index }}, {{ end }}{{ include "postroad.toml.key" $key }} = {{ include "postroad.toml.value" (index $ $key) }}{{ end -}} }
{{- else if kindIs "slice" . -}}
[{{- range $index, $value := . }}{{ if $index }}, {{ end }}{{ include "postroad.toml.value" $value }}{{ end -}}]
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end -}}

{{- define "postroad.toml.key" -}}
{{- regexMatch "^[A-Za-z0-9_-]+$" . | ternary . (toJson .) -}}
{{- end -}}

{{- /* A table of TOML and those in it; `path` is its name. A setting that is null is left out. */ -}}
{{- define "postroad.toml.table" -}}
{{- $path := .path -}}
{{- with $path }}
[{{ . }}]
{{ end -}}
{{- range $key := keys .table | sortAlpha -}}
{{- $value := index $.table $key -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{- include "postroad.toml.key" $key }} = {{ include "postroad.toml.value" $value }}
{{ end -}}
{{- end -}}
{{- range $key := keys .table | sortAlpha -}}
{{- $value := index $.table $key -}}
{{- if and (kindIs "map" $value) $value -}}
{{- $name := include "postroad.toml.key" $key -}}
{{- include "postroad.toml.table" (dict "table" $value "path" (empty $path | ternary $name (printf "%s.%s" $path $name))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The configuration of one role, or of `operator`: what follows from the chart, with .Values.config over it. */ -}}
{{- define "postroad.configuration" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $name := include "postroad.name" $root -}}
{{- $roles := include "postroad.roles" $root | fromJson -}}
{{- $secured := ne (include "postroad.tls.mode" $root) "off" -}}
{{- $endpoints := dict -}}
{{- $config := dict -}}
{{- range $role, $port := $roles -}}
{{- $_ := set $endpoints $role (printf "http://%s-%s:%v" $name $role $port) -}}
{{- $_ := set $config $role (dict "listen" (printf "%s:%v" $values.listenAddress $port)) -}}
{{- end -}}
{{- $_ := set $config "endpoints" $endpoints -}}
{{- if $values.metrics.enabled -}}
{{- $_ := set $config "telemetry" (dict "listen" (printf "%s:%v" $values.listenAddress $values.metrics.port)) -}}
{{- end -}}
{{- if $secured -}}
{{- $_ := set $config "access" (dict "certificates" (dict "administrators" (list $values.tls.operator))) -}}
{{- $_ := set $config "tls" (dict "certificate_file" "/etc/postroad/tls/tls.crt" "key_file" "/etc/postroad/tls/tls.key" "authority_file" "/etc/postroad/tls/ca.crt") -}}
{{- else -}}
{{- $_ := set $config "tls" (dict "allow_plaintext" true) -}}
{{- $_ := set $config "access" (dict "token_file" "/etc/postroad/token/token") -}}
{{- end -}}

{{- $nats := dict -}}
{{- if $values.nats.enabled -}}
{{- $_ := set $nats "url" (printf "%s://%s:4222" ($values.nats.config.nats.tls.enabled | ternary "tls" "nats") (include "postroad.nats.name" $root)) -}}
{{- $_ := set $nats "replicas" ($values.nats.config.cluster.enabled | ternary ($values.nats.config.cluster.replicas | int | min 3) 1) -}}
{{- if $values.nats.config.monitor.enabled -}}
{{- /* The other service has no port for it. Any server will do: all have the same settings. */ -}}
{{- $_ := set $nats "monitoring" (printf "http://%s-headless:%v" (include "postroad.nats.name" $root) $values.nats.config.monitor.port) -}}
{{- end -}}
{{- if $values.nats.config.nats.tls.enabled -}}
{{- $_ := set $nats "authority_file" "/etc/postroad/tls/ca.crt" -}}
{{- end -}}
{{- else -}}
{{- $external := $values.externalNats -}}
{{- $_ := set $nats "url" (required "externalNats.url: say where NATS is, such as nats://nats.messaging:4222, or set nats.enabled=true" $external.url) -}}
{{- $_ := set $nats "replicas" $external.replicas -}}
{{- with $external.monitoring }}{{ $_ := set $nats "monitoring" . }}{{ end -}}
{{- if $external.credentials.existingSecret -}}
{{- $_ := set $nats "credentials_file" "/etc/postroad/nats/nats.creds" -}}
{{- end -}}
{{- if $external.authority.existingSecret -}}
{{- $_ := set $nats "authority_file" "/etc/postroad/nats-authority/ca.crt" -}}
{{- else if $external.certificates -}}
{{- $_ := set $nats "authority_file" "/etc/postroad/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- if include "postroad.nats.users" $root -}}
{{- /* Who connects is who the certificate says; the doctor looks as the profile role. */ -}}
{{- $folder := eq .of "operator" | ternary "/etc/postroad/profile-tls" "/etc/postroad/tls" -}}
{{- $_ := set $nats "certificate_file" (printf "%s/tls.crt" $folder) -}}
{{- $_ := set $nats "key_file" (printf "%s/tls.key" $folder) -}}
{{- end -}}
{{- $_ := set $config "nats" $nats -}}

{{- $_ := set $config "sealing" (dict "key_id" (include "postroad.sealing.id" $root)) -}}
{{- if not (has .of (list "alert" "prepare")) -}}
{{- $_ := set $config.sealing "key_file" "/etc/postroad/sealing/sealing.key" -}}
{{- with $values.sealing.formerKeys -}}
{{- $former := dict -}}
{{- range $id, $file := . }}{{ $_ := set $former $id (printf "/etc/postroad/sealing/%s" $file) }}{{ end -}}
{{- $_ := set $config.sealing "former_keys" $former -}}
{{- end -}}
{{- end -}}

{{- with $values.smtp }}
{{- if and .host (has $.of (list "alert" "operator")) -}}
{{- $smtp := dict "host" .host "port" .port "tls" .tls "from" (required "smtp.from: say from which address the owners' mail comes" .from) -}}
{{- if .existingSecret -}}
{{- $_ := set $smtp "user_name" (required "smtp.userName: is wanted with smtp.existingSecret, which holds its password" .userName) -}}
{{- $_ := set $smtp "password_file" "/etc/postroad/smtp/password" -}}
{{- end -}}
{{- $_ := set $config "alert" (mergeOverwrite $config.alert (dict "smtp" $smtp)) -}}
{{- end -}}
{{- end -}}
{{- $all := mergeOverwrite $config (deepCopy $values.config) -}}
{{- include "postroad.toml.table" (dict "table" $all "path" "") -}}
{{- end -}}
