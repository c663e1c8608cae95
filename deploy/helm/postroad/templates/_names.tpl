{{- /* The release's name, or `postroad` in front of everything's name: the longest end, that of a job, has 17 characters, and a name 63. */ -}}
{{- define "postroad.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains "postroad" .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-postroad" .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "postroad.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: postroad
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* What selects every pod of Postroad, and with a role those of the role. */ -}}
{{- define "postroad.selector" -}}
app.kubernetes.io/name: postroad
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "postroad.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* The roles with their ports: the order in which they are listed everywhere. */ -}}
{{- define "postroad.roles" -}}
{"profile": 7401, "locator": 7402, "sync": 7403, "alert": 7404, "crm": 7405}
{{- end -}}

{{- /* How connections are secured. YAML takes an unquoted `off` for false. */ -}}
{{- define "postroad.tls.mode" -}}
{{- kindIs "bool" .Values.tls.mode | ternary "off" .Values.tls.mode -}}
{{- end -}}

{{- /* The id of the sealing key. YAML takes an unquoted 2 for a number, which Helm makes a float. */ -}}
{{- define "postroad.sealing.id" -}}
{{- $id := .Values.sealing.keyId -}}
{{- kindIs "string" $id | ternary $id (int64 $id | toString) -}}
{{- end -}}

{{- define "postroad.sealing.secret" -}}
{{- .Values.sealing.existingSecret | default (printf "%s-sealing" (include "postroad.name" .)) -}}
{{- end -}}

{{- /* The secret that holds the certificate of a role, of `operator`, `prepare` or `nats`. */ -}}
{{- define "postroad.certificate.secret" -}}
{{- $name := include "postroad.name" .root -}}
{{- if eq (include "postroad.tls.mode" .root) "existing" -}}
{{- required (printf "tls.existing.%s: name the secret with tls.crt, tls.key and ca.crt of %s" .of .of) (index .root.Values.tls.existing .of) -}}
{{- else -}}
{{- printf "%s-%s-tls" $name .of -}}
{{- end -}}
{{- end -}}

{{- /* The name of the service of the NATS that this release installs: the official chart's rule. */ -}}
{{- define "postroad.nats.name" -}}
{{- if .Values.nats.fullnameOverride -}}
{{- .Values.nats.fullnameOverride -}}
{{- else if contains "nats" .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-nats" .Release.Name -}}
{{- end -}}
{{- end -}}

{{- /* Not empty where each role is a user of NATS, by its certificate. */ -}}
{{- define "postroad.nats.users" -}}
{{- if ne (include "postroad.tls.mode" .) "off" -}}
{{- if .Values.nats.enabled -}}
{{- .Values.nats.config.nats.tls.enabled | ternary "yes" "" -}}
{{- else -}}
{{- .Values.externalNats.certificates | ternary "yes" "" -}}
{{- end -}}
{{- end -}}
{{- end -}}
