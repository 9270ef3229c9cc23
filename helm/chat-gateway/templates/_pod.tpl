{{/* What the restricted standard asks of a pod. */}}
{{- define "chat.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- if not .Values.podSecurityContext.seccompProfile }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end -}}

{{/* And of a container. */}}
{{- define "chat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every pod of ours has. */}}
{{- define "chat.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "chat.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where the pods of a part may run. Takes (list ROOT COMPONENT VALUES). */}}
{{- define "chat.placement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $part := index . 2 -}}
{{- if $part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $part.topologySpreadConstraints | nindent 2 }}
{{- else if $part.spread }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "chat.selector" (list $root $component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* More mounts, as given, of volumes that are there. Takes (list COMPONENT VALUES). */}}
{{- define "chat.extraMounts" -}}
{{- $volumes := list "tmp" -}}
{{- range (index . 1).extraVolumes -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range (index . 1).extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "%s.extraVolumeMounts: extraVolumes has no %s" (index $ 0) .name) -}}
{{- end -}}
{{- end -}}
{{- with (index . 1).extraVolumeMounts -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Up to two minutes to start, and a minute of silence until it is restarted. Takes the path that says "alive". */}}
{{- define "chat.aliveProbes" -}}
startupProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
